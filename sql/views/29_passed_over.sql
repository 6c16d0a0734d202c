-- What scans of the lake passed over and why: files of listings, where a folder that was not entered counts as one, and
-- members of archives, as far as they were not read again since. A heading is a suffix, or a remark in brackets.
create or replace view report.passed_over as
with passed as (
    select
        listing.run_id,
        'listing' as place,
        listing.source as address,
        item.key as heading,
        cast(item.value as bigint) as files
    from main.listing, json_each(listing.ignored) as item
    where listing.role = 'lake'

    union all

    select run_id, 'archive' as place, object_uri as address, heading, files
    from main.passed_member
    where role = 'lake'
)

select
    cast(run.started_at as date) as night,
    passed.run_id,
    passed.place,
    passed.address,
    passed.heading,
    passed.files
from passed
join main.run on run.run_id = passed.run_id
where run.command = 'scan';
