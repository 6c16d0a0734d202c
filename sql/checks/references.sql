-- Rows that refer to something that is not there.
from unresolved('score', 'bank_digest', 'bank')
union all from unresolved('score', 'image_id', 'image')
union all from unresolved('image_name', 'image_id', 'image')
union all from unresolved('policy', 'bank_digest', 'bank')
union all from unresolved('policy', 'calibration_id', 'calibration')
union all from unresolved('policy_class', 'policy_id', 'policy')
union all from unresolved('policy_night', 'policy_id', 'policy')
union all from unresolved('evaluation_metric', 'bank_digest', 'bank')
union all from unresolved('label_evidence', 'bank_digest, label_index', 'label')
union all from unresolved('label_evidence', 'call_id', 'generator_call')
union all from unresolved('bank_picture', 'call_id', 'generator_call')
union all from unresolved('bank_guard', 'bank_digest', 'bank')
union all from unresolved('review', 'image_id', 'image')
union all from unresolved('tagging', 'image_id', 'image')
union all from unresolved('baseline_image', 'baseline_number', 'baseline')
union all from unresolved('baseline_image', 'image_id', 'image')
union all from unresolved('selection', 'policy_id', 'policy')
union all from unresolved('vector', 'encoder_id', 'encoder')
union all
select 'calibration', 'calibration_score', calibration_id
from calibration
left join calibration_score using (calibration_id)
group by calibration_id, calibration.image_count
having count(calibration_score.image_id) <> calibration.image_count
union all
select 'bank', 'label', bank_digest
from bank
left join label using (bank_digest)
group by bank_digest, bank.id_count, bank.negative_count
having count(label.label_index) <> bank.id_count + bank.negative_count;
