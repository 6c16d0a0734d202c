-- The tags of the images of the lake, a row each, with who gave it and when.
create or replace view report.tags as
with newest as (
    select *
    from main.tagging
    qualify row_number() over (
        partition by image_id, tag
        order by tagged_at desc, tagging_number desc
    ) = 1
)

select
    newest.image_id,
    images.uri,
    newest.tag,
    newest.reviewer,
    newest.tagged_at,
    newest.run_id
from newest
join report.images as images on images.image_id = newest.image_id
where newest.given;
