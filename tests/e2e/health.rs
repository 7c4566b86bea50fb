//! Whether it is alive, and whether it can serve.

use crate::{shared_stack::shared, suite::Suite};

pub(crate) fn register(suite: &mut Suite) {
    suite.test("the_edge_says_that_it_is_alive", the_edge_says_that_it_is_alive);
}

async fn the_edge_says_that_it_is_alive() {
    let answer = reqwest::get(shared().await.url("/healthz")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("x-request-id"), "{:?}", answer.headers());
}
