//! Clients of our own: the commands beside the server speak to it as anybody's client does.

use futures::future::poll_fn;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls};

/// As whom they connect, and to which database.
const USER: &str = "millrace";

/// A connection to a server; notices go to `noticed`. Must be called on a tokio runtime.
///
/// # Errors
/// Where the server cannot be reached, or refuses.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    application: &str,
    noticed: impl Fn(&DbError) + Send + 'static,
) -> Result<Client, Error> {
    let mut config = Config::new();
    config.host(host).port(port).user(USER).dbname(USER).application_name(application);
    let (client, mut connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message {
                noticed(&notice);
            }
        }
    });
    Ok(client)
}
