-- Rows that refer to something that is not there.
select 'score' as table_name, 'bank' as missing, score.bank_digest as key
from score
anti join bank on bank.bank_digest = score.bank_digest
union all
select 'score', 'image', score.image_id
from score
anti join image on image.image_id = score.image_id
union all
select 'policy', 'bank', policy.bank_digest
from policy
anti join bank on bank.bank_digest = policy.bank_digest
union all
select 'policy', 'calibration', policy.calibration_id
from policy
anti join calibration on calibration.calibration_id = policy.calibration_id
where policy.calibration_id is not null
union all
select 'policy_class', 'policy', policy_class.policy_id
from policy_class
anti join policy on policy.policy_id = policy_class.policy_id
union all
select 'policy_night', 'policy', policy_night.policy_id
from policy_night
anti join policy on policy.policy_id = policy_night.policy_id
union all
select 'calibration', 'calibration_score', calibration.calibration_id
from calibration
left join calibration_score on calibration_score.calibration_id = calibration.calibration_id
group by calibration.calibration_id, calibration.image_count
having count(calibration_score.image_id) <> calibration.image_count
union all
select 'evaluation_metric', 'bank', evaluation_metric.bank_digest
from evaluation_metric
anti join bank on bank.bank_digest = evaluation_metric.bank_digest
union all
select 'label_evidence', 'label', label_evidence.bank_digest || ' ' || label_evidence.label_index
from label_evidence
anti join label
    on label.bank_digest = label_evidence.bank_digest
    and label.label_index = label_evidence.label_index
union all
select 'label_evidence', 'generator_call', label_evidence.call_id
from label_evidence
anti join generator_call on generator_call.call_id = label_evidence.call_id
where label_evidence.call_id is not null
union all
select 'bank_picture', 'generator_call', bank_picture.call_id
from bank_picture
anti join generator_call on generator_call.call_id = bank_picture.call_id
union all
select 'bank_guard', 'bank', bank_guard.bank_digest
from bank_guard
anti join bank on bank.bank_digest = bank_guard.bank_digest
union all
select 'review', 'image', review.image_id
from review
anti join image on image.image_id = review.image_id
union all
select 'baseline_image', 'baseline', baseline_image.baseline_number::varchar
from baseline_image
anti join baseline on baseline.baseline_number = baseline_image.baseline_number
union all
select 'baseline_image', 'image', baseline_image.image_id
from baseline_image
anti join image on image.image_id = baseline_image.image_id
union all
select 'selection', 'policy', selection.policy_id
from selection
anti join policy on policy.policy_id = selection.policy_id
where selection.policy_id is not null
union all
select 'vector', 'encoder', vector.encoder_id
from (select distinct encoder_id from vector) as vector
anti join encoder on encoder.encoder_id = vector.encoder_id
union all
select 'bank', 'label', bank.bank_digest
from bank
left join label on label.bank_digest = bank.bank_digest
group by bank.bank_digest, bank.id_count, bank.negative_count
having count(label.label_index) <> bank.id_count + bank.negative_count;
