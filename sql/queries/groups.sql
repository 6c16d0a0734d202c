-- name: list_ungrouped
-- Where the vectors are of images of the lake that have near-duplicates and no group yet: those whose pairs are recorded
-- first, then by id; `alone`: compared before, without a near-duplicate then.
with pairs as (
    select unnest([image_id, neighbour_id]) as image_id, true as recorded
    from near_duplicate
    where encoder_id = $encoder_id
    union all
    select unnest([image_id, neighbour_id]), false
    from incoming_near_duplicate
),

paired as (
    select image_id, bool_or(recorded) as recorded
    from pairs
    group by image_id
)

select
    vector.vector_file,
    vector.row_index,
    not paired.recorded and compared_file.vector_file is not null as alone
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
left join compared_file
    on compared_file.vector_file = vector.vector_file
    and compared_file.encoder_id = $encoder_id
order by not paired.recorded, paired.image_id;

-- name: list_group_leaders
-- Where the vectors of the images that lead groups are, in any order.
select vector.vector_file, vector.row_index
from group_member as leader
join vector using (encoder_id, image_id)
where leader.encoder_id = $encoder_id
    and leader.image_id = leader.group_id;
