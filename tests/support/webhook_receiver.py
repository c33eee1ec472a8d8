"""A webhook receiver that checks signatures with the published library of Standard Webhooks.

Arguments: the secrets to try, then optionally --tls CERTIFICATE KEY. Prints its port, then one line of JSON
for each request: method, path, headers (names in lower case), body, and for each secret whether it verified.
"""

import argparse
import http.server
import json
import ssl

from standardwebhooks import Webhook, WebhookVerificationError


def verified(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        checks = [verified(secret, body, headers) for secret in self.server.secrets]
        line = {
            "method": self.command,
            "path": self.path,
            "headers": headers,
            "body": body.decode(),
            "verified": checks,
        }
        print(json.dumps(line), flush=True)
        reply = b'{"ok": true}'
        self.send_response(202)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("secrets", nargs="*")
    parser.add_argument("--tls", nargs=2)
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.secrets = options.secrets
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    server.serve_forever()


main()
