-- Each datum lies in an object that was read, in the state that was read; an object half read has no row of its own yet.
select location.uri, location.role, location.object_version, source_object.version
from location
join source_object
    on source_object.object_uri = location.object_uri
    and source_object.role = location.role
join shard
    on shard.shard_id = location.shard_id
    and shard.role = location.role
where source_object.gone_run_id is null
    and source_object.version <> location.object_version
    and shard.kind <> 'parquet';
