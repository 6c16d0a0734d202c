-- Which negatives did a system make, in which bank version, and from which call of which model?
create or replace view report.generated_labels as
select
    bank.name as bank,
    bank.version,
    label.text as label,
    label.source,
    evidence.concerns,
    label.nearest_id,
    label.nearest_id_cosine,
    call.model,
    call.prompt,
    call.output,
    evidence.call_id,
    label.bank_digest,
    label.label_index
from main.label_evidence as evidence
join main.label
    on label.bank_digest = evidence.bank_digest
    and label.label_index = evidence.label_index
join main.bank on bank.bank_digest = evidence.bank_digest
left join main.generator_call as call on call.call_id = evidence.call_id;
