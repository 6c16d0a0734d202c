-- Generators: calls of models that describe, reason and paint, and what came of them in banks.

-- One call: all that shaped the answer, and the answer. A call that is answered or rejected is never sent again.
create table generator_call (
    call_id varchar not null,             -- hash of role, model, revision, prompt, slots, pictures, history, seed, settings
    role varchar not null,                -- describer, reasoner, painter
    model varchar not null,
    revision varchar not null,
    prompt varchar not null,
    prompt_version integer not null,
    prompt_digest varchar not null,
    inputs varchar not null,              -- JSON: slots, pictures (image ids), history, settings, correction
    seed bigint not null,
    status varchar not null,              -- answered; rejected: an answer that cannot be used; failed: none came
    output varchar,                       -- as it came
    answer varchar,                       -- JSON: what was read from it
    artefact varchar,                     -- file in generated/: a picture, or vectors
    fault varchar,
    facts varchar not null,               -- JSON
    attempts integer not null,            -- how often it was sent, repeats after overloads included
    seconds double not null,
    finished_at timestamp not null,
    run_id varchar not null
);

-- Where a generated label comes from.
create table label_evidence (
    bank_digest varchar not null,
    label_index integer not null,
    call_id varchar,                      -- null where no call gave it
    concerns varchar                      -- the ID label that was asked about
);

-- Pictures, or vectors in their place, that were made for a bank.
create table bank_picture (
    bank_digest varchar not null,
    picture_number integer not null,
    call_id varchar not null,
    artefact varchar not null,
    label varchar not null                -- what it shows
);

-- The ID images held out when a bank was made: how many a version flags at the policy of the version before.
create table bank_guard (
    bank_digest varchar not null,
    previous_digest varchar not null,
    method_id varchar not null,
    min_log_odds double not null,
    image_count bigint not null,
    flagged_before bigint not null,
    flagged_now bigint not null,
    forced boolean not null,
    run_id varchar not null
);
