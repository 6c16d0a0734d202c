-- name: classify_objects
-- What a listing finds against what the ledger knows: new, returned (it was gone), changed, retried (unchanged,
-- but data of it were rejected) or unchanged, in order.
select
    case
        when known.object_uri is null then 'new'
        when known.gone_run_id is not null then 'returned'
        when known.encoder_id <> $encoder_id then 'changed'
        -- The version of a local file ends with its change time, which is compared where it is known and asked for.
        when case
            when not starts_with(listed.object_uri, '/') then known.version <> listed.version
            when $change_times then not starts_with(listed.version || '-', known.version || '-')
            else not starts_with(listed.version || '-', regexp_replace(known.version, '^(\d+--?\d+)-\d+$', '\1') || '-')
        end then 'changed'
        when $rehash then 'changed'
        when rejected.object_uri is not null then 'retried'
        else 'unchanged'
    end as state
from incoming_object as listed
left join source_object as known
    on known.object_uri = listed.object_uri
    and known.role = $role
left join (
    -- What failed in reading may be well by now; what failed in decoding only when asked for.
    select distinct object_uri
    from reject
    where role = $role
        and stage <> 'list'
        and (
            $retry_rejects
            or reason in ('not_found', 'permission_denied', 'archived', 'read_failed', 'changed_while_read')
        )
) as rejected on rejected.object_uri = listed.object_uri
order by listed.position;

-- name: find_gone_objects
-- Objects under a prefix that the ledger knows and a part of a listing missed: the part from `after` to `until`.
select known.object_uri
from source_object as known
anti join incoming_object as listed on listed.object_uri = known.object_uri
where known.role = $role
    and known.gone_run_id is null
    and starts_with(known.object_uri, $prefix)
    and known.object_uri > $after
    and ($until::varchar is null or known.object_uri <= $until)
order by known.object_uri;

-- name: mark_gone_objects
-- The objects are no longer there; what was learnt of them stays.
update source_object
set gone_run_id = $run_id
from incoming_gone
where source_object.object_uri = incoming_gone.object_uri
    and source_object.role = $role;

-- name: delete_objects
-- Forget the old state of objects that were, or have to be, read again.
delete from source_object
using incoming_object as finished
where source_object.object_uri = finished.object_uri
    and source_object.role = finished.role;

-- name: count_data
-- The data found in each of the objects that were read to their end, in their order.
select count(location.uri) as data_count
from incoming_object as finished
left join location
    on location.object_uri = finished.object_uri
    and location.role = $role
    and location.object_version = finished.version
group by finished.position
order by finished.position;

-- name: delete_listing_rejects
-- Rejects of earlier listings of a source, or under a prefix; the present listing says anew what it could not list.
delete from reject
where role = $role
    and stage = 'list'
    and (object_uri = $source or starts_with(object_uri, $prefix));
