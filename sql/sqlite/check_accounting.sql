-- P2: accepted = pending + held + sending + sent + dead + expired + cancelled + purged.
SELECT name, accepted, pending + held + sending + sent + dead + expired + cancelled + purged FROM channels
WHERE accepted <> pending + held + sending + sent + dead + expired + cancelled + purged
