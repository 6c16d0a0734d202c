-- Each object that was read has as many locations as data were found in it.
select
    source_object.object_uri,
    source_object.role,
    source_object.data_count,
    count(location.uri) as locations
from source_object
left join location
    on location.object_uri = source_object.object_uri
    and location.role = source_object.role
    and location.object_version = source_object.version
where source_object.gone_run_id is null
group by all
having count(location.uri) <> source_object.data_count;
