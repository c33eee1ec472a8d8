//! Postfix, as its Debian package installs it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Kind, MailServer, Ports};

/// The Postfix that most tests speak to.
pub struct Postfix;

impl Postfix {
    /// The user of the submission port.
    pub const USER: &'static str = MailServer::USER;
    /// Their password.
    pub const PASSWORD: &'static str = MailServer::PASSWORD;

    /// Starts it.
    pub fn start() -> MailServer {
        MailServer::start(Kind::Postfix)
    }
}

pub fn files(dir: &Path, ports: &Ports) -> Vec<(&'static str, String)> {
    vec![("main.cf", main_cf(dir)), ("master.cf", master_cf(ports)), ("sasl/smtpd.conf", sasl(dir))]
}

/// The master's number stands padded in its file; it ends its own processes.
pub fn end(dir: &Path) {
    if let Ok(pid) = fs::read_to_string(dir.join("queue/pid/master.pid")) {
        let _ = Command::new("kill").arg(pid.trim()).status();
    }
}

/// Run by a shell because it changes owners, which only root may.
pub const START: &str = r#"
    if [ -e "$DIR/queue" ]; then
        # What the last one left running still takes files away, and the check of all files stumbles over that.
        n=0
        until postfix -c "$DIR/etc" check || [ $((n += 1)) -gt 20 ]; do sleep 0.2; done
        exec postfix -c "$DIR/etc" start-fg
    fi
    mkdir "$DIR/queue" "$DIR/data" "$DIR/mail"
    chown postfix "$DIR/data" "$DIR/mail"
    printf '%s' "$PASSWORD" | saslpasswd2 -c -p -f "$DIR/etc/sasldb2" -u relay.example.org "$LOGIN"
    chown postfix "$DIR/etc/sasldb2"
    printf 'virtual_uid_maps = static:%s\nvirtual_gid_maps = static:%s\n' \
        "$(id -u postfix)" "$(id -g postfix)" >>"$DIR/etc/main.cf"
    exec postfix -c "$DIR/etc" start-fg
"#;

fn main_cf(dir: &Path) -> String {
    let (dir, limit) = (dir.display(), MailServer::LIMIT);
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.example.org
mydestination =
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
in_flow_delay = 0
virtual_mailbox_domains = example.org
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
message_size_limit = {limit}
anvil_rate_time_unit = 3s
smtpd_client_event_limit_exceptions =
smtpd_client_connection_count_limit = 0
alias_maps =
alias_database =
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{ nobody@example.org = 550 5.1.1 no such user }},
        {{ later@example.org = 450 4.2.0 greylisted }} }}
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_received_header = yes
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = relay.example.org
cyrus_sasl_config_path = {dir}/etc/sasl
"
    )
}

fn master_cf(ports: &Ports) -> String {
    let Ports { plain, submission, implicit, bare, limited, crowded, greylisting, policy } = ports;
    format!(
        "127.0.0.1:{plain} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
    -o smtpd_tls_security_level=may
    -o smtpd_sasl_auth_enable=yes
    -o smtpd_tls_auth_only=yes
    -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{implicit} inet n - n - - smtpd
    -o smtpd_tls_wrappermode=yes
127.0.0.1:{bare} inet n - n - - smtpd
    -o smtpd_discard_ehlo_keywords=pipelining,8bitmime,smtputf8,size,chunking,dsn,enhancedstatuscodes,etrn,vrfy
127.0.0.1:{limited} inet n - n - - smtpd
    -o smtpd_client_message_rate_limit=5
127.0.0.1:{crowded} inet n - n - - smtpd
    -o smtpd_client_connection_count_limit=2
127.0.0.1:{greylisting} inet n - n - - smtpd
    -o {{ smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{policy} }}
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"
    )
}

fn sasl(dir: &Path) -> String {
    format!(
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: {}/etc/sasldb2\n",
        dir.display()
    )
}
