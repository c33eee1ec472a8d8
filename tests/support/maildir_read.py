"""Reads a Maildir as a mail reader does, with Python's own libraries. Argument: the folder.

Prints one line of JSON for each mail: key, flags, its headers (a list of pairs), text and HTML, and attachments
(name, type, content in base64).
"""

import base64
import email.policy
import json
import mailbox
import sys
from email import message_from_binary_file


def parse(file):
    return message_from_binary_file(file, policy=email.policy.default)


def text(mail, kind):
    part = mail.get_body(preferencelist=(kind,))
    return None if part is None else part.get_content()


folder = mailbox.Maildir(sys.argv[1], factory=None, create=False)
for key in sorted(folder.keys()):
    mail = parse(folder.get_file(key))
    assert not mail.defects, mail.defects
    attachments = [
        {
            "name": part.get_filename(),
            "type": part.get_content_type(),
            "content": base64.b64encode(part.get_payload(decode=True)).decode(),
        }
        for part in mail.iter_attachments()
    ]
    line = {
        "key": key,
        "flags": folder.get_message(key).get_flags(),
        "headers": [[name, str(value)] for name, value in mail.items()],
        "text": text(mail, "plain"),
        "html": text(mail, "html"),
        "attachments": attachments,
        "has_cr": b"\r" in folder.get_bytes(key),
    }
    print(json.dumps(line))
