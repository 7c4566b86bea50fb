//! Incidents in both databases, in the same words.

/// Implements [`crate::ports::Incidents`] for a new type with that name. In scope must be `Database`, `connect`, which gives a
/// connection out of it, `give_back`, which takes one back, and `DatabaseRow`.
macro_rules! incidents {
    ($name:ident) => {
        use std::{collections::BTreeMap, sync::Arc};

        use sqlx::{Connection as _, FromRow, Row as _};

        use crate::{
            monitoring::Statement,
            ports::{Incident, IncidentState, Incidents, StoreError},
        };

        const INSERT: Statement = Statement::new("INSERT", "incidents");
        const SELECT: Statement = Statement::new("SELECT", "incidents");
        const DELETE: Statement = Statement::new("DELETE", "incidents");

        /// Keeps them.
        pub(crate) struct $name {
            database: Arc<Database>,
        }

        impl $name {
            pub(crate) fn new(database: Arc<Database>) -> Self {
                Self { database }
            }
        }

        #[async_trait::async_trait]
        impl Incidents for $name {
            async fn tell(&self, incidents: &[Incident]) -> Result<(), StoreError> {
                let writing = async {
                    let mut connection = connect(&self.database).await?;
                    let mut transaction = connection.begin().await?;
                    for incident in incidents {
                        // Alertmanager tries again what it could not tell: the later word counts, in whichever order they come.
                        sqlx::query(
                            "INSERT INTO incidents AS known (fingerprint, started_ms, ended_ms, told_ms, labels, annotations) \
                             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (fingerprint, started_ms) DO UPDATE SET \
                             ended_ms = excluded.ended_ms, told_ms = excluded.told_ms, annotations = excluded.annotations \
                             WHERE excluded.told_ms >= known.told_ms",
                        )
                        .bind(&incident.fingerprint)
                        .bind(big(incident.started_ms))
                        .bind(incident.ended_ms.map(big))
                        .bind(big(incident.told_ms))
                        .bind(serde_json::json!(incident.labels).to_string())
                        .bind(serde_json::json!(incident.annotations).to_string())
                        .execute(&mut *transaction)
                        .await?;
                    }
                    transaction.commit().await?;
                    give_back(connection);
                    Ok(())
                };
                self.database.ask(INSERT, writing).await
            }

            async fn list(&self, state: Option<IncidentState>, most: u32) -> Result<Vec<Incident>, StoreError> {
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let condition = match state {
                        None => "",
                        Some(IncidentState::Open) => "WHERE ended_ms IS NULL",
                        Some(IncidentState::Ended) => "WHERE ended_ms IS NOT NULL",
                    };
                    let sql = format!(
                        "SELECT fingerprint, started_ms, ended_ms, told_ms, labels, annotations FROM incidents {condition} \
                         ORDER BY started_ms DESC, fingerprint LIMIT $1"
                    );
                    // Of the three constants above.
                    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(i64::from(most));
                    let rows: Vec<IncidentRow> = query.fetch_all(&mut *connection).await?;
                    give_back(connection);
                    Ok(rows.into_iter().map(|row| row.0).collect())
                };
                self.database.ask(SELECT, asking).await
            }

            async fn forget(&self, before_ms: u64) -> Result<(), StoreError> {
                let deleting = async {
                    let mut connection = connect(&self.database).await?;
                    let query = sqlx::query("DELETE FROM incidents WHERE ended_ms < $1").bind(big(before_ms));
                    query.execute(&mut *connection).await?;
                    give_back(connection);
                    Ok(())
                };
                self.database.ask(DELETE, deleting).await
            }
        }

        struct IncidentRow(Incident);

        impl FromRow<'_, DatabaseRow> for IncidentRow {
            fn from_row(row: &DatabaseRow) -> Result<Self, sqlx::Error> {
                let moment = |column: i64| u64::try_from(column).unwrap_or(0);
                let texts = |column: &str| -> Result<BTreeMap<String, String>, sqlx::Error> {
                    serde_json::from_str(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
                };
                Ok(Self(Incident {
                    fingerprint: row.try_get("fingerprint")?,
                    started_ms: moment(row.try_get("started_ms")?),
                    ended_ms: row.try_get::<Option<i64>, _>("ended_ms")?.map(moment),
                    told_ms: moment(row.try_get("told_ms")?),
                    labels: texts("labels")?,
                    annotations: texts("annotations")?,
                }))
            }
        }

        fn big(number: u64) -> i64 {
            i64::try_from(number).unwrap_or(i64::MAX)
        }
    };
}
pub(in crate::store) use incidents;
