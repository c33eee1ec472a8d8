-- Which key a notification came with: `show` and every reader over HTTP ask for it, however many keys there are.
CREATE INDEX idempotency_keys_of ON idempotency_keys (notification_id);
