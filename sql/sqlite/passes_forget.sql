DELETE FROM passes WHERE id <= (SELECT max(id) FROM passes) - ?1
