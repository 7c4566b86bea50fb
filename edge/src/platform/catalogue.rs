//! The catalogue that counts: read from KV where that is bound.

use std::{cell::RefCell, rc::Rc};

use goblin_shared::catalogue::Catalogue;
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::{Incoming, backend::text, console, now, runtime};
use crate::{
    catalogue_source::{BINDING, CatalogueSource, KEY},
    config::EdgeConfig,
    identify::Identity,
};

thread_local! {
    static SOURCE: RefCell<CatalogueSource> = RefCell::default();
}

/// How long KV may take, in milliseconds.
const PATIENCE_MS: u32 = 2_000;

impl Incoming {
    /// What counts now. Only the first requests of an isolate wait for KV; later it is read again after an answer.
    pub(crate) async fn catalogue(&self, config: &EdgeConfig, identity: &Identity) -> Rc<Catalogue> {
        let env: &JsValue = self.env.as_ref();
        if !self.has_binding(BINDING) {
            return SOURCE.with_borrow(CatalogueSource::current);
        }
        let now = now();
        if SOURCE.with_borrow(|source| source.is_unread(now)) {
            read(env.clone(), identity.clone()).await;
        } else {
            let max_age_ms = f64::from(config.catalogue_max_age_s) * 1_000.0;
            if SOURCE.with_borrow_mut(|source| source.is_to_read(now, max_age_ms)) {
                self.afterwards(read(env.clone(), identity.clone()));
            }
        }
        SOURCE.with_borrow(CatalogueSource::current)
    }

    /// Whether the Worker has a binding of this name that is not a variable.
    fn has_binding(&self, name: &str) -> bool {
        Reflect::get(self.env.as_ref(), &name.into()).is_ok_and(|value| value.is_object())
    }
}

async fn read(env: JsValue, identity: Identity) {
    let stored = JsFuture::from(runtime::stored(&env, BINDING, KEY, PATIENCE_MS)).await;
    let read = match &stored {
        Ok(late) if late.is_undefined() => Err("no answer in time".to_owned()),
        Ok(stored) => Ok(stored.as_string()),
        Err(error) => Err(text(error)),
    };
    let taken = SOURCE.with_borrow_mut(|source| match read {
        Ok(stored) => source.read(stored, now()),
        Err(why) => Err(source.not_read(&why, now())),
    });
    if let Err(why) = taken {
        console::error(&identity, &why);
    }
}
