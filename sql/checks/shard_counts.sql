-- The counts of a finished shard add up.
select shard_id, encoder_id, data_count, image_count, duplicate_count, reject_count
from shard
where image_count + duplicate_count + reject_count <> data_count;
