//! postgrey, which Postfix asks whether it has met somebody before.

use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::{Kind, MailServer, as_root, end};

/// A running postgrey, behind the greylisting port of a Postfix. Dropping it stops it.
pub struct Postgrey {
    dir: TempDir,
    child: Child,
}

impl Postgrey {
    /// How long it refuses whom it does not know, in seconds.
    pub const DELAY: u64 = 2;

    /// Starts it where `postfix` will ask it.
    pub fn start(postfix: &MailServer) -> Self {
        let dir = tempfile::Builder::new().prefix("postgrey-").tempdir().expect("a folder of our own");
        let script = r#"
            chmod 711 "$DIR"
            mkdir "$DIR/data"
            chown postgrey "$DIR/data"
            exec postgrey --inet=127.0.0.1:"$PORT" --delay="$DELAY" --dbdir="$DIR/data" --pidfile="$DIR/data/pid" \
                --user=postgrey --group=postgrey
        "#;
        let child = as_root(Kind::Postfix, "/bin/sh")
            .args(["-eu", "-c", script])
            .env_clear()
            .env("DIR", dir.path())
            .env("PORT", postfix.ports().policy.to_string())
            .env("DELAY", Self::DELAY.to_string())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let postgrey = Self { dir, child };
        let port = postfix.ports().policy;
        postfix.wait_for("postgrey listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        postgrey
    }
}

impl Drop for Postgrey {
    fn drop(&mut self) {
        end(&mut self.child);
        // It belongs to postgrey's user.
        let _ = as_root(Kind::Postfix, "rm").arg("-rf").arg(self.dir.path().join("data")).status();
    }
}
