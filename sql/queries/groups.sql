-- name: list_ungrouped
-- Where the vectors are of images of the lake that have near-duplicates and no group yet: those whose pairs are recorded
-- first, then by id; `alone`: compared before, without a near-duplicate then.
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
    vector.vector_file,
    vector.row_index,
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
-- Where the vectors of the images that lead groups are, in any order.
select vector.vector_file, vector.row_index
from group_member as leader
join vector using (encoder_id, image_id)
where leader.encoder_id = $encoder_id
    and leader.image_id = leader.group_id;
