//! The in-memory store keeps the contract.

use std::sync::Arc;

use fastlead_core::async_trait;
use fastlead_store::MemoryStore;
use fastlead_testkit::conformance::store::{FullStore, StoreHarness};

struct Memory(MemoryStore);

#[async_trait]
impl StoreHarness for Memory {
    async fn start() -> Self {
        Self(MemoryStore::new())
    }

    fn store(&self) -> Arc<dyn FullStore> {
        Arc::new(self.0.clone())
    }

    async fn reopen(&mut self) -> bool {
        false
    }
}

fastlead_testkit::store_conformance!(keeps_the_contract, Memory);
