-- The key of a histogram that was counted most often, the first of several.
create or replace macro busiest_key(counted) as list_min(
    list_filter(map_keys(counted), lambda key: counted[key] = list_max(map_values(counted)))
);
