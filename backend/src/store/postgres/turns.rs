//! Turns of conversations, added in the transaction that settles their requests.

use std::collections::{BTreeMap, HashSet};

use sqlx::{Error, PgConnection, types::Uuid};

use super::{
    batch::Row,
    values::{bigint, text, uuid},
};
use crate::ports::{NewTurn, Settlement};

/// Appends the turns of those settlements that were `settled`, each to its conversation as long as there is one and it
/// is its owner's.
pub(super) async fn append(
    connection: &mut PgConnection,
    settlements: &[Settlement],
    mut settled: HashSet<Row>,
) -> Result<(), Error> {
    let turns: Vec<(Uuid, &NewTurn)> = settlements
        .iter()
        .filter_map(|settlement| {
            let row = (uuid(&settlement.request_id), Uuid::from_bytes(settlement.opening.0));
            settlement.turn.as_ref().filter(|_| settled.remove(&row)).map(|turn| (row.0, turn))
        })
        .collect();
    let ids: Vec<_> = turns.iter().map(|(_, turn)| text(&turn.conversation_id)).collect();
    // Locked sorted, so that two batches never wait for each other; what is read is what is locked.
    let sql = "SELECT id, tenant, user_name, turns FROM conversations WHERE id = ANY($1) ORDER BY id FOR UPDATE";
    let found: Vec<(String, String, String, i32)> = sqlx::query_as(sql).bind(ids).fetch_all(&mut *connection).await?;
    let mut lengths: BTreeMap<String, (String, String, i32)> =
        found.into_iter().map(|(id, tenant, user, turns)| (id, (tenant, user, turns))).collect();
    let mut added = Vec::with_capacity(turns.len());
    for (request, turn) in turns {
        let Some((tenant, user, number)) = lengths.get_mut(text(&turn.conversation_id).as_ref()) else { continue };
        if *tenant == text(&turn.owner.tenant) && *user == text(&turn.owner.user) {
            *number += 1;
            added.push((request, *number, turn));
        }
    }
    if added.is_empty() {
        return Ok(());
    }
    insert(connection, &added).await
}

async fn insert(connection: &mut PgConnection, added: &[(Uuid, i32, &NewTurn)]) -> Result<(), Error> {
    fn column<'q, T>(added: &'q [(Uuid, i32, &'q NewTurn)], of: impl Fn(&'q NewTurn) -> T) -> Vec<T> {
        added.iter().map(|(_, _, turn)| of(turn)).collect()
    }
    sqlx::query(
        "WITH given AS (SELECT * FROM UNNEST($1::text[], $2::integer[], $3::uuid[], $4::bigint[], $5::text[], \
         $6::text[], $7::bigint[], $8::bigint[]) AS g (conversation_id, number, request_id, at_ms, model, messages, \
         prompt_tokens, completion_tokens)), \
         added AS (INSERT INTO turns (conversation_id, number, request_id, at_ms, model, messages, prompt_tokens, \
         completion_tokens) SELECT * FROM given) \
         UPDATE conversations c SET turns = s.turns, updated_ms = s.updated_ms, \
         prompt_tokens = c.prompt_tokens + s.prompt_tokens, \
         completion_tokens = c.completion_tokens + s.completion_tokens \
         FROM (SELECT conversation_id, MAX(number) AS turns, MAX(at_ms) AS updated_ms, \
         SUM(prompt_tokens) AS prompt_tokens, SUM(completion_tokens) AS completion_tokens \
         FROM given GROUP BY conversation_id) s WHERE c.id = s.conversation_id",
    )
    .bind(column(added, |turn| text(&turn.conversation_id)))
    .bind(added.iter().map(|(_, number, _)| *number).collect::<Vec<_>>())
    .bind(added.iter().map(|(request, ..)| *request).collect::<Vec<_>>())
    .bind(column(added, |turn| bigint(turn.at_ms)))
    .bind(column(added, |turn| text(&turn.model)))
    .bind(column(added, |turn| text(&turn.messages)))
    .bind(column(added, |turn| bigint(turn.prompt_tokens)))
    .bind(column(added, |turn| bigint(turn.completion_tokens)))
    .execute(connection)
    .await?;
    Ok(())
}
