//! Exim, unpacked from Debian's exim4-daemon-light: it cannot be installed beside another mail server.

use std::path::Path;

use super::{MailServer, Ports};

/// Exim changes its user at once and is never root again: it only writes into one folder. Mail that it has taken
/// and not delivered yet when it is stopped is delivered by the queue runner.
pub const START: &str = r#"
    people Debian-exim
    mkdir -p "$DIR/queue" "$DIR/log" "$DIR/mail"
    chown Debian-exim "$DIR/queue" "$DIR/log" "$DIR/mail" "$DIR/key.pem"
    exec "$UNPACKED/exim/usr/sbin/exim4" -C "$DIR/etc/exim.conf" -bdf -q5s
"#;

/// The refusals are in the words of Exim's own specification, chapter 44.
pub fn files(dir: &Path, ports: &Ports) -> Vec<(&'static str, String)> {
    let Ports { plain, submission, implicit, bare, limited, crowded, greylisting, .. } = ports;
    let exim = super::unpacked("exim/usr/sbin/exim4");
    let (dir, limit) = (dir.display(), MailServer::LIMIT);
    let (user, password) = (MailServer::USER, MailServer::PASSWORD);
    let interfaces: Vec<_> = [plain, submission, implicit, bare, limited, crowded, greylisting]
        .map(|port| format!("[127.0.0.1]:{port}"))
        .into();
    let interfaces = interfaces.join(" ; ");
    let text = format!(
        "exim_path = {exim}
spool_directory = {dir}/queue
log_file_path = {dir}/log/%s
pid_file_path = {dir}/queue/pid
primary_hostname = relay.example.org
keep_environment =
deliver_drop_privilege
local_interfaces = <; {interfaces}
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 200
smtp_accept_max_per_host = ${{if eq{{$received_port}}{{{crowded}}}{{2}}{{200}}}}
smtp_accept_queue_per_connection = 0
queue_run_max = 5
message_size_limit = ${{if eq{{$received_port}}{{{bare}}}{{0}}{{{limit}}}}}
pipelining_advertise_hosts = ${{if eq{{$received_port}}{{{bare}}}{{}}{{*}}}}
smtputf8_advertise_hosts = ${{if eq{{$received_port}}{{{bare}}}{{}}{{*}}}}
tls_certificate = {dir}/cert.pem
tls_privatekey = {dir}/key.pem
tls_on_connect_ports = {implicit}
tls_advertise_hosts = ${{if eq{{$received_port}}{{{submission}}}{{*}}{{}}}}
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = rcpt
acl_smtp_data = data
begin acl
rcpt:
    deny condition = ${{if eq{{$received_port}}{{{submission}}}}}
        !authenticated = *
        message = log in first
    deny local_parts = nobody
        message = unknown user
    defer local_parts = later
        message = not now
    defer condition = ${{if eq{{$received_port}}{{{greylisting}}}}}
        !seen = -2s / key=${{sender_host_address}}_$local_part@$domain
    defer condition = ${{if eq{{$received_port}}{{{limited}}}}}
        ratelimit = 5 / 3s
        message = Sender rate exceeds $sender_rate_limit messages per $sender_rate_period
    accept domains = example.org
data:
    deny condition = ${{if >{{$message_size}}{{{limit}}}}}
        message = too large
    accept
begin routers
all:
    driver = accept
    domains = example.org
    transport = box
begin transports
box:
    driver = appendfile
    directory = {dir}/mail/box
    maildir_format
begin authenticators
plain:
    driver = plaintext
    public_name = PLAIN
    server_prompts = :
    server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
    server_set_id = $auth2
login:
    driver = plaintext
    public_name = LOGIN
    server_prompts = Username:: : Password::
    server_condition = ${{if and{{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
    server_set_id = $auth1
"
    );
    vec![("exim.conf", text)]
}
