-- Every image of the lake with its group. A group is named by the image that leads it; one image in each represents it
-- here: that one or, where it has gone from the lake, the member nearest to it.
create or replace view report.group_members as
select
    coalesce(member.group_id, images.image_id) as group_id,
    images.image_id,
    images.uri,
    coalesce(member.cosine, 1) as cosine,
    main.represents(coalesce(member.group_id, images.image_id), images.image_id, member.cosine) as is_representative
from report.images as images
left join main.group_member as member
    on member.image_id = images.image_id
    and member.encoder_id = (select selection.encoder_id from main.newest_selection() as selection);
