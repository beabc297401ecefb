//! The KV documents, written by the Coordinator alone and read by isolates while it is silent: the last
//! snapshot and some usable keys, each authenticated over (generation, epoch, body).

use super::StoreError;
use rondo_core::config::Snapshot;
use rondo_core::pool::fallback::KnownKey;
use rondo_core::vault::MasterKey;
use rondo_core::vault::signed::{sign, verify};
use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::KvStore;

const SNAPSHOT: &str = "snapshot";
const KEYS: &str = "keys";

async fn read<T: DeserializeOwned>(kv: &KvStore, master: &MasterKey, name: &str) -> Option<((u64, u64), T)> {
    let document = kv.get(name).text().await.ok()??;
    let signed = verify(master, name, &document).ok()?;
    Some(((signed.generation, signed.epoch), serde_json::from_str(signed.body).ok()?))
}

async fn write<T: Serialize>(
    kv: &KvStore,
    master: &MasterKey,
    name: &str,
    (generation, epoch): (u64, u64),
    body: &T,
) -> Result<(), StoreError> {
    let document = sign(master, name, generation, epoch, &serde_json::to_string(body)?)?;
    let put = kv.put(name, document).map_err(|error| StoreError(error.to_string()))?;
    put.execute().await.map_err(|error| StoreError(error.to_string()))
}

/// The last snapshot; `None` when there is none that verifies.
pub async fn read_snapshot(kv: &KvStore, master: &MasterKey) -> Option<Snapshot> {
    read(kv, master, SNAPSHOT).await.map(|(_, snapshot)| snapshot)
}

/// Usable keys, sealed, and the (generation, epoch) at which they were; `None` when there is no document that
/// verifies. A key may have been switched off since.
pub async fn read_keys(kv: &KvStore, master: &MasterKey) -> Option<((u64, u64), Vec<KnownKey>)> {
    read(kv, master, KEYS).await
}

/// Writes the snapshot.
///
/// # Errors
/// When KV refuses.
pub async fn write_snapshot(kv: &KvStore, master: &MasterKey, snapshot: &Snapshot) -> Result<(), StoreError> {
    write(kv, master, SNAPSHOT, (snapshot.generation, snapshot.epoch), snapshot).await
}

/// Writes the usable keys.
///
/// # Errors
/// When KV refuses.
pub async fn write_keys(
    kv: &KvStore,
    master: &MasterKey,
    at: (u64, u64),
    keys: &[KnownKey],
) -> Result<(), StoreError> {
    write(kv, master, KEYS, at, &keys).await
}
