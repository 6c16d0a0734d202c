-- name: list_ungrouped
-- Images of the lake that have near-duplicates and no group yet: those whose pairs are recorded first, then by id;
-- `alone`: compared before, without a near-duplicate then.
with recorded as (
    select image_id from near_duplicate where encoder_id = $encoder_id
    union
    select neighbour_id from near_duplicate where encoder_id = $encoder_id
),

paired as (
    select image_id from recorded
    union
    select image_id from incoming_near_duplicate
    union
    select neighbour_id from incoming_near_duplicate
)

select
    paired.image_id,
    recorded.image_id is null and compared_file.vector_file is not null as alone
from paired
semi join location
    on location.image_id = paired.image_id
    and location.role = 'lake'
anti join group_member
    on group_member.image_id = paired.image_id
    and group_member.encoder_id = $encoder_id
join vector
    on vector.image_id = paired.image_id
    and vector.encoder_id = $encoder_id
left join recorded on recorded.image_id = paired.image_id
left join compared_file
    on compared_file.vector_file = vector.vector_file
    and compared_file.encoder_id = $encoder_id
order by recorded.image_id is null, paired.image_id;

-- name: list_group_leaders
-- The images that lead groups.
select image_id
from group_member
where encoder_id = $encoder_id
    and image_id = group_id
order by image_id;
