SELECT name, accepted, purged, pending, held, sending, sent, dead, expired, cancelled FROM channels ORDER BY name
