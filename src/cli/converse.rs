//! Conversations of many lines, with the running appliance or with the store opened here.

use super::refuse_to_begin;
use crate::config::Config;
use crate::console::socket;
use crate::console::transfer::Transfer;
use crate::start::{Sources, start};
use crate::web;
use std::os::unix::net::UnixStream;

/// Where no appliance runs, this process is both ends: `talk` never knows.
pub(super) fn converse<T: Send + 'static>(
    config: Config,
    begin: Transfer,
    talk: impl FnOnce(UnixStream) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    if let Some(stream) = socket::connect(&config.data_dir) {
        return talk(stream);
    }
    refuse_to_begin(&config, begin.may_begin())?;
    let origin = config.public_url().origin().to_owned();
    let done = async {
        let auth = start(&config, Sources::system()).await.map_err(|e| e.to_string())?;
        let (near, far) = tokio::net::UnixStream::pair().map_err(|e| e.to_string())?;
        let near = near.into_std().map_err(|e| e.to_string())?;
        near.set_nonblocking(false).map_err(|e| e.to_string())?;
        let talking = tokio::task::spawn_blocking(move || talk(near));
        let served = socket::converse(far, &auth, &origin).await;
        // Where both ends complain, the near one says why.
        let told = talking.await.map_err(|e| e.to_string())??;
        served.map(|()| told).map_err(|e| e.to_string())
    };
    web::run(&config.clone(), done).map_err(|e| e.to_string())?
}
