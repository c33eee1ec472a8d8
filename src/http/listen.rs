//! Where connections come in: a TCP port, a Unix socket.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};

use super::{Error, Handed};

/// Listens on a TCP port.
pub(super) fn tcp(address: SocketAddr) -> Result<TcpListener, Error> {
    let listen = || {
        // tokio's own way sets SO_REUSEADDR, without which a restart would have to wait.
        let socket = if address.is_ipv4() {
            tokio::net::TcpSocket::new_v4()?
        } else {
            tokio::net::TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| Error::listen(&address, &error))
}

/// How many connections wait in the system until they are taken.
const BACKLOG: u32 = 1_024;

/// What somebody listens on in our place.
pub(super) fn handed(handed: Handed) -> Result<(Vec<TcpListener>, Vec<Socket>), Error> {
    let tcp = handed.tcp.into_iter().map(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    let unix = handed.unix.into_iter().map(|listener| {
        listener.set_nonblocking(true)?;
        Ok(Socket { listener: UnixListener::from_std(listener)?, path: None })
    });
    let failed = |error: io::Error| Error::listen(&"what was handed to us", &error);
    let tcp = tcp.collect::<io::Result<_>>().map_err(failed)?;
    Ok((tcp, unix.collect::<io::Result<_>>().map_err(failed)?))
}

/// A Unix socket; its file goes when it is dropped.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    /// `None` when it is somebody else's.
    path: Option<PathBuf>,
}

/// Listens on a Unix socket. A file that a daemon left behind is replaced, one that somebody listens on is not, and
/// neither is anything that is no socket.
pub(super) fn unix(path: &Path, mode: u32) -> Result<Socket, Error> {
    let failed = |error: &io::Error| Error::listen(&path.display(), error);
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(&error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(failed(&io::Error::other(
                "something else than a socket is there; it was left alone",
            )));
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => return Err(failed(&io::ErrorKind::AddrInUse.into())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(|error| failed(&error))?;
            }
            Err(error) => return Err(failed(&error)),
        },
    }
    let listener = UnixListener::bind(path).map_err(|error| failed(&error))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|error| failed(&error))?;
    Ok(Socket { listener, path: Some(path.to_owned()) })
}

/// Who may connect at all: its owner and its group. Who may speak is said by `access`.
pub(super) const OWN: u32 = 0o660;

/// Everybody may connect, because some of them may speak.
pub(super) const OPEN: u32 = 0o666;

impl Drop for Socket {
    fn drop(&mut self) {
        // One that is left behind is replaced by the next daemon.
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}
