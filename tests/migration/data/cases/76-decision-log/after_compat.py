from conport_client_compat import ConPortClient, get_conport_client

client = get_conport_client()
client.log_custom_data("UserFeedback", "1", {"rating": 5})
found = ConPortClient("here").search_custom_data_value_fts({"category_filter": "UserFeedback"})
for record in found:
    print(record["value"])
