-- Scores are numbers in [0, 1], log-odds agree with them, and their labels exist with the right role.
select
    score.image_id,
    score.method_id,
    score.id_score,
    score.log_odds,
    score.id_label,
    score.negative_label
from score
left join label as id_label
    on id_label.bank_digest = score.bank_digest
    and id_label.label_index = score.id_label
left join label as negative_label
    on negative_label.bank_digest = score.bank_digest
    and negative_label.label_index = score.negative_label
where not (score.id_score between 0 and 1)
    or isnan(score.id_score)
    or isnan(score.log_odds)
    or abs(score.id_score - 1 / (1 + exp(-score.log_odds))) > 1e-6
    or id_label.role is distinct from 'id'
    or (score.negative_label >= 0 and negative_label.role is distinct from 'negative');
