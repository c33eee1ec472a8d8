//! OpenSMTPD, unpacked from Debian's package: it cannot be installed beside another mail server.

use std::path::Path;

use super::{MailServer, Ports};

/// OpenSMTPD keeps its queue, its empty folder and its socket in places that were fixed when it was built; in its name
/// space these are folders of ours.
pub const START: &str = r#"
    people opensmtpd opensmtpq box
    mkdir -p "$DIR/queue" "$DIR/lib/opensmtpd/empty" "$DIR/run" "$DIR/mail"
    chown box "$DIR/mail"
    chmod 600 "$DIR/key.pem"
    printf '%s ' "$LOGIN" >"$DIR/etc/users"
    openssl passwd -6 "$PASSWORD" >>"$DIR/etc/users"
    mount --bind "$DIR/queue" /var/spool
    mount --bind "$DIR/lib" /var/lib
    mount --bind "$DIR/run" /run
    mount --bind "$UNPACKED/opensmtpd/usr/libexec" /usr/libexec
    mkdir -p /var/spool/smtpd
    chmod 711 /var/spool/smtpd /var/lib /var/lib/opensmtpd /var/lib/opensmtpd/empty
    exec "$UNPACKED/opensmtpd/usr/sbin/smtpd" -d -f "$DIR/etc/smtpd.conf"
"#;

pub fn files(dir: &Path, ports: &Ports) -> Vec<(&'static str, String)> {
    let Ports { plain, submission, implicit, .. } = ports;
    let (dir, limit) = (dir.display(), MailServer::LIMIT);
    let text = format!(
        r#"pki localhost cert "{dir}/cert.pem"
pki localhost key "{dir}/key.pem"
table users file:{dir}/etc/users
table people {{ "@" = "box" }}
smtp max-message-size {limit}
smtp limit max-mails 5
filter "nobody" phase rcpt-to match rcpt-to {{ "nobody@example.org" }} reject "550 5.1.1 no such user"
filter "later" phase rcpt-to match rcpt-to {{ "later@example.org" }} reject "450 4.2.0 not now"
filter "some" chain {{ "nobody", "later" }}
listen on 127.0.0.1 port {plain} hostname relay.example.org filter "some"
listen on 127.0.0.1 port {submission} hostname relay.example.org tls-require pki localhost auth <users>
listen on 127.0.0.1 port {implicit} hostname relay.example.org smtps pki localhost
action "box" maildir "{dir}/mail/box" virtual <people>
match from any for domain "example.org" action "box"
"#
    );
    vec![("smtpd.conf", text)]
}
