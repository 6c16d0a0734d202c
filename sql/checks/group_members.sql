-- Groups of which the image that leads them is no member.
select 'leader' as rule, member.encoder_id, member.group_id, member.image_id
from group_member as member
anti join group_member as leader
    on leader.encoder_id = member.encoder_id
    and leader.image_id = member.group_id
    and leader.group_id = member.group_id;
