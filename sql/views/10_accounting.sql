-- Every datum of the lake is accounted for: images + duplicates + rejects = data found in the objects listed.
create or replace view report.accounting as
with present as (
    select object_uri, role, data_count
    from main.source_object
    where role = 'lake' and gone_run_id is null
),

lake as (
    select count(*) as images, coalesce(sum(copies), 0) as copies
    from report.images
)

select
    (select count(*) from present) as objects,
    (select coalesce(sum(data_count), 0) from present) as data,
    lake.images,
    lake.copies - lake.images as duplicates,
    (select count(*) from report.rejects where stage <> 'list') as rejects
from lake;
