-- What were models asked, what did they answer, and what did it cost?
create or replace view report.generator_calls as
select
    call.call_id,
    call.role,
    call.model,
    call.revision,
    call.prompt,
    call.prompt_version,
    call.prompt_digest,
    call.inputs,
    call.seed,
    call.status,
    call.output,
    call.answer,
    call.artefact,
    call.fault,
    call.attempts,
    call.seconds,
    call.finished_at,
    call.run_id,
    try_cast(call.facts ->> 'prompt_tokens' as bigint) as prompt_tokens,
    try_cast(call.facts ->> 'completion_tokens' as bigint) as completion_tokens,
    call.facts ->> 'served_model' as served_model
from main.generator_call as call;
