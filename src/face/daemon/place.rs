//! Where a daemon will listen: taken before it touches the database, let in to once it works.

use std::path::{Path, PathBuf};
use std::time::Duration;

use listenfd::ListenFd;
use tokio::net::UnixListener;

use super::unstarted;
use crate::config::Config;
use crate::face::client::Client;
use crate::face::exit::{Code, Failure};
use crate::face::protocol::Status;
use crate::face::socket::{Bound, Doorman, Reserved, SocketError, path_of, reserve};
use crate::face::web::{Taken, take};

/// How long whoever has our place may take to say who it is.
const PROMPTLY: Duration = Duration::from_secs(2);

/// A socket to be, and where the web face will be.
pub(super) struct Place {
    path: PathBuf,
    socket: Socket,
    pub(super) web: Option<Taken>,
}

enum Socket {
    /// The service manager made it.
    Given(std::os::unix::net::UnixListener),
    Ours(Reserved),
}

impl Socket {
    fn find(config: &Config, doorman: &Doorman) -> Result<(PathBuf, Self), Failure> {
        let path = path_of(&config.daemon);
        let given = ListenFd::from_env().take_unix_listener(0);
        if let Some(listener) = given.map_err(unstarted)? {
            let address = listener.local_addr().map_err(unstarted)?;
            let path = address.as_pathname().map_or(path, PathBuf::from);
            return Ok((path, Self::Given(listener)));
        }
        let reserved = reserve(&path, doorman.group()).map_err(|error| unusable(error, &path))?;
        Ok((path, Self::Ours(reserved)))
    }
}

impl Place {
    /// The socket the service manager gave us, else one of our own.
    pub(super) fn find(config: &Config, doorman: &Doorman) -> Result<Self, Failure> {
        let (path, socket) = Socket::find(config, doorman)?;
        let web = take(&config.http, doorman.group());
        let web = web.map_err(|error| Failure::new(Code::Unusable, error))?;
        Ok(Self { path, socket, web })
    }

    /// Lets clients in.
    pub(super) fn listen(self) -> Result<(UnixListener, Option<Bound>, PathBuf), Failure> {
        let (listener, bound) = match self.socket {
            Socket::Given(listener) => (listener, None),
            Socket::Ours(reserved) => {
                let (listener, bound) = reserved
                    .listen()
                    .map_err(|error| Failure::new(Code::Unusable, error))?;
                (listener, Some(bound))
            }
        };
        listener.set_nonblocking(true).map_err(unstarted)?;
        let listener = UnixListener::from_std(listener).map_err(unstarted)?;
        Ok((listener, bound, self.path))
    }
}

/// Names whoever has the place, if that says who it is.
fn unusable(error: SocketError, path: &Path) -> Failure {
    let is_taken = matches!(error, SocketError::Taken { .. });
    let holder = is_taken
        .then(|| Client::connect(path).and_then(|mut it| it.ask_within(PROMPTLY, &Status {})))
        .and_then(Result::ok);
    let Some(holder) = holder else {
        return Failure::new(Code::Unusable, error);
    };
    let (pid, database) = (holder.pid, holder.database);
    let error = anyhow::anyhow!("{error}: pid {pid}, which works on {database}");
    Failure::new(Code::Unusable, error)
}
