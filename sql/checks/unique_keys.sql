-- Keys that occur more than once.
select 'image' as table_name, image_id as key, count(*) as rows from image group by image_id having count(*) > 1
union all
select 'location', role || ' ' || uri, count(*) from location group by role, uri having count(*) > 1
union all
select 'source_object', role || ' ' || object_uri, count(*) from source_object group by role, object_uri having count(*) > 1
union all
select 'vector', encoder_id || ' ' || image_id, count(*) from vector group by encoder_id, image_id having count(*) > 1
union all
select 'shard', encoder_id || ' ' || role || ' ' || shard_id, count(*) from shard group by encoder_id, role, shard_id having count(*) > 1
union all
select 'score', concat_ws(' ', encoder_id, bank_digest, method_id, image_id), count(*)
from score
group by encoder_id, bank_digest, method_id, image_id
having count(*) > 1
union all
select 'near_duplicate', concat_ws(' ', encoder_id, image_id, neighbour_id), count(*)
from near_duplicate
group by encoder_id, image_id, neighbour_id
having count(*) > 1
union all
select 'group_member', encoder_id || ' ' || image_id, count(*)
from group_member
group by encoder_id, image_id
having count(*) > 1
union all
select 'evaluation_metric', concat_ws(' ', run_id, bank_digest, method_id, scope, ood_name, metric), count(*)
from evaluation_metric
group by run_id, bank_digest, method_id, scope, ood_name, metric
having count(*) > 1
union all
select 'policy', policy_id, count(*) from policy group by policy_id having count(*) > 1
union all
select 'policy_class', policy_id || ' ' || id_label, count(*) from policy_class group by policy_id, id_label having count(*) > 1
union all
select 'policy_night', concat_ws(' ', policy_id, night_run_id, id_label), count(*)
from policy_night
group by policy_id, night_run_id, id_label
having count(*) > 1
union all
select 'calibration', calibration_id, count(*) from calibration group by calibration_id having count(*) > 1
union all
select 'calibration_score', calibration_id || ' ' || image_id, count(*)
from calibration_score
group by calibration_id, image_id
having count(*) > 1
union all
select 'bank', bank_digest, count(*) from bank group by bank_digest having count(*) > 1
union all
select 'label', bank_digest || ' ' || label_index, count(*) from label group by bank_digest, label_index having count(*) > 1
union all
select 'baseline', baseline_number::varchar, count(*) from baseline group by baseline_number having count(*) > 1
union all
select 'baseline_image', baseline_number || ' ' || image_id, count(*)
from baseline_image
group by baseline_number, image_id
having count(*) > 1
union all
select 'run_stage', run_id || ' ' || stage, count(*) from run_stage group by run_id, stage having count(*) > 1
union all
select 'generator_call', call_id, count(*) from generator_call group by call_id having count(*) > 1
union all
select 'label_evidence', bank_digest || ' ' || label_index, count(*)
from label_evidence
group by bank_digest, label_index
having count(*) > 1
union all
select 'bank_picture', bank_digest || ' ' || picture_number, count(*)
from bank_picture
group by bank_digest, picture_number
having count(*) > 1
union all
select 'review', review_id, count(*) from review group by review_id having count(*) > 1
union all
select 'review', review_number::varchar, count(*) from review group by review_number having count(*) > 1
union all
select 'run', run_id, count(*) from run group by run_id having count(*) > 1;
