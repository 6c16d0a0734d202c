-- name: list_export_rows
-- What an export holds of some images: with $by_score those with the lowest score first, else in the order given; with
-- $representatives one of each group, the image that leads it or the nearest to that; at most $most.
with chosen as (
    select
        wanted.position,
        scores.image_id,
        scores.uri,
        cast(scores.first_seen as date) as night,
        scores.flagged,
        scores.id_score,
        scores.log_odds,
        scores.name,
        scores.name_margin,
        scores.top_id,
        cast(scores.top_id_cosine as double) as top_id_cosine,
        scores.top_negative,
        cast(scores.top_negative_cosine as double) as top_negative_cosine,
        members.group_id,
        cast(scores.copies as bigint) as copies,
        scores.width,
        scores.height,
        scores.format,
        scores.byte_size,
        scores.source_label,
        scores.first_seen,
        scores.bank_name,
        scores.bank_version,
        scores.method_id,
        scores.policy_name,
        source_object.kind,
        scores.object_uri,
        scores.member,
        scores.byte_offset
    from incoming_wanted as wanted
    join report.scores as scores on scores.image_id = wanted.image_id
    join report.group_members as members on members.image_id = wanted.image_id
    join source_object
        on source_object.object_uri = scores.object_uri
        and source_object.role = 'lake'
    qualify not $representatives or represents(members.group_id, scores.image_id, members.cosine)
)

select * exclude (position)
from chosen
order by case when $by_score then log_odds end, position, image_id
limit $most;

-- name: find_images_at
-- The images at some addresses of the lake, in their order.
select locations.image_id
from incoming_wanted as wanted
join report.locations as locations on locations.uri = wanted.image_id
where locations.image_id is not null
order by wanted.position;
