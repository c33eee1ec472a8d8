SELECT store_id, message_domain FROM store WHERE one = 1
