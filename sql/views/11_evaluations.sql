-- Each evaluation's figures, 0–1: a row for each bank, method, form of the images (as_is, same_format) and OOD set, and
-- for the means over sets.
create or replace view report.evaluations as
select
    run.started_at as evaluated_at,
    evaluation.run_id,
    evaluation.protocol,
    bank.name as bank_name,
    bank.version as bank_version,
    figure.method_id,
    figure.form,
    figure.scope,
    figure.ood_name,
    evaluation_set.near_far,
    any_value(figure.id_count) as id_images,
    any_value(figure.ood_count) as ood_images,
    max(figure.value) filter (where figure.metric = 'auroc') as auroc,
    max(figure.low) filter (where figure.metric = 'auroc') as auroc_low,
    max(figure.high) filter (where figure.metric = 'auroc') as auroc_high,
    max(figure.value) filter (where figure.metric = 'aupr_id_positive') as aupr_id_positive,
    max(figure.value) filter (where figure.metric = 'aupr_ood_positive') as aupr_ood_positive,
    max(figure.value) filter (where figure.metric = 'fpr95_id_positive') as fpr95_id_positive,
    max(figure.low) filter (where figure.metric = 'fpr95_id_positive') as fpr95_id_positive_low,
    max(figure.high) filter (where figure.metric = 'fpr95_id_positive') as fpr95_id_positive_high,
    max(figure.value) filter (where figure.metric = 'fpr95_ood_positive') as fpr95_ood_positive,
    max(figure.low) filter (where figure.metric = 'fpr95_ood_positive') as fpr95_ood_positive_low,
    max(figure.high) filter (where figure.metric = 'fpr95_ood_positive') as fpr95_ood_positive_high,
    any_value(accuracy.value) as id_label_accuracy,
    evaluation.positive as headline_positive,
    figure.bank_digest,
    evaluation.encoder_id
from main.evaluation_metric as figure
join main.evaluation on evaluation.run_id = figure.run_id
left join main.run on run.run_id = figure.run_id
left join main.bank on bank.bank_digest = figure.bank_digest
left join main.evaluation_set
    on evaluation_set.run_id = figure.run_id
    and evaluation_set.side = 'ood'
    and evaluation_set.name = figure.ood_name
left join main.evaluation_metric as accuracy
    on accuracy.run_id = figure.run_id
    and accuracy.bank_digest = figure.bank_digest
    and accuracy.method_id = figure.method_id
    and accuracy.form = figure.form
    and accuracy.metric = 'id_label_accuracy'
where figure.scope <> 'id'
group by all;
