-- Scores are numbers that rank as their log-odds do, probabilities lie in [0, 1], and labels exist with their role.
with ranked as (
    select
        *,
        lag(id_score) over (
            partition by encoder_id, bank_digest, method_id
            order by log_odds, id_score
        ) as lower_id_score
    from score
)

select
    ranked.image_id,
    ranked.method_id,
    ranked.id_score,
    ranked.log_odds,
    ranked.id_label,
    ranked.negative_label
from ranked
left join label as id_label
    on id_label.bank_digest = ranked.bank_digest
    and id_label.label_index = ranked.id_label
left join label as negative_label
    on negative_label.bank_digest = ranked.bank_digest
    and negative_label.label_index = ranked.negative_label
where isnan(ranked.id_score)
    or isnan(ranked.log_odds)
    or ranked.lower_id_score > ranked.id_score + 1e-9
    or (
        split_part(ranked.method_id, '(', 1) in ('csp', 'mcm', 'neglabel')
        and (
            not (ranked.id_score between 0 and 1)
            or abs(ranked.id_score - 1 / (1 + exp(-ranked.log_odds))) > 1e-6
        )
    )
    or id_label.role is distinct from 'id'
    or (ranked.negative_label >= 0 and negative_label.role is distinct from 'negative');
