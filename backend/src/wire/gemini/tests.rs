mod answers;
pub(in crate::wire) mod arbitrary;
mod fixtures;
mod requests;

use goblin_shared::request_id::RequestId;

use crate::{
    ports::Inexpressible,
    wire::{Model, neutral::Request},
};

fn request_id() -> RequestId {
    RequestId::new(0, &[0; 10])
}

fn write_request(request: &Request) -> Result<Vec<u8>, Inexpressible> {
    super::write_request(request, &Model::named("m"))
}
