-- name: find_calls
-- Calls that need not be made again, in any order.
select call.call_id, call.status, call.output, call.answer, call.artefact, call.fault, call.facts, call.attempts, call.seconds
from generator_call as call
semi join incoming_call as incoming on incoming.call_id = call.call_id
where call.status <> 'failed';

-- name: time_generator_calls
-- What answered calls took, by what was asked of which model: seconds, and the tokens that were counted.
select
    role,
    model,
    prompt,
    cast(inputs -> '$.settings' as varchar) as settings,
    count(*) as timed,
    median(seconds) as seconds,
    avg(try_cast(facts ->> 'prompt_tokens' as double) + try_cast(facts ->> 'completion_tokens' as double)) as tokens
from generator_call
where status = 'answered'
group by all
order by role, model, prompt, settings;

-- name: delete_repeated_calls
-- Earlier rows of calls that had failed, or whose file was gone, and were made again.
delete from generator_call
where call_id in (select incoming.call_id from incoming_generator_call as incoming);

-- name: count_calls_of_run
-- How the calls of a run ended.
select status, count(*) as calls
from generator_call
where run_id = $run_id
group by status
order by status;

-- name: list_bank_pictures
-- What was painted for a bank version.
select picture.artefact, picture.label, call.model, call.revision, call.prompt, call.seed, call.inputs, call.facts, call.call_id
from bank_picture as picture
join generator_call as call on call.call_id = picture.call_id
where picture.bank_digest = $bank_digest
order by picture.picture_number;

-- name: list_label_evidence
-- The labels of a bank version with the call that gave each.
select
    label.label_index,
    label.text,
    label.role,
    label.source,
    label.nearest_id,
    label.nearest_id_cosine,
    evidence.concerns,
    evidence.call_id,
    call.model,
    call.prompt,
    call.output
from label
left join label_evidence as evidence
    on evidence.bank_digest = label.bank_digest
    and evidence.label_index = label.label_index
left join generator_call as call on call.call_id = evidence.call_id
where label.bank_digest = $bank_digest
order by label.label_index;

-- name: list_label_origins
-- How some labels of a bank version were made: the call that gave each, and the pictures that show it.
select
    label.label_index,
    evidence.concerns,
    call.call_id,
    call.role,
    call.model,
    call.revision,
    call.prompt,
    call.prompt_version,
    call.seed,
    call.output,
    call.artefact,
    call.inputs,
    call.finished_at,
    (
        select coalesce(list(picture.artefact order by picture.picture_number), [])
        from bank_picture as picture
        where picture.bank_digest = label.bank_digest
            and picture.label = label.text
    ) as pictures
from label
left join label_evidence as evidence
    on evidence.bank_digest = label.bank_digest
    and evidence.label_index = label.label_index
left join generator_call as call on call.call_id = evidence.call_id
where label.bank_digest = $bank_digest
    and list_contains($label_indexes::integer[], label.label_index)
order by label.label_index;

-- name: count_reference_labels
-- What reference images came with, and how many images: a label, or of loose files the folder.
select
    location.kind,
    location.source_label,
    case when location.kind = 'file' then regexp_replace(location.uri, '[^/]*$', '') else '' end as folder,
    count(distinct location.image_id) as images
from present_locations() as location
where location.role = 'reference' and location.image_id is not null
group by all
order by folder, location.source_label nulls first, location.kind;

-- name: list_reference_sources
-- What was taken in as a reference.
select distinct source
from listing
where role = 'reference'
order by source;

-- name: list_reference_sources_kept
-- What was taken in as a reference and held something when it was listed last.
select source
from listing
left join run on run.run_id = listing.run_id
where role = 'reference'
group by source
having arg_max(objects_listed, run.run_number) > 0
order by source;

-- name: list_image_places
-- Where the bytes of some images lie, and how many pixels and bytes they have; the first place of each.
select
    image.image_id,
    image.width,
    image.height,
    image.byte_size,
    location.object_uri,
    location.kind,
    location.member,
    location.byte_offset,
    location.uri,
    coalesce(location.source_label, '') as source_label
from image
semi join incoming_wanted as wanted on wanted.image_id = image.image_id
join present_locations() as location using (image_id)
qualify row_number() over (partition by image.image_id order by location.uri, location.role) = 1
order by image.image_id;

-- name: list_images_at
-- The image at each of some addresses that are there now. In any order.
select location.uri, min(location.image_id) as image_id
from present_locations() as location
semi join incoming_address as address on address.uri = location.uri
where location.image_id is not null
group by location.uri;

-- name: list_lake_sample
-- The images that are in the lake now and have a vector, the first so many by id.
select vector.image_id
from vector
where vector.encoder_id = $encoder_id
    and vector.image_id in (select image_id from present_locations() where role = 'lake')
order by vector.image_id
limit $most;

-- name: list_lake_arrivals
-- All of these images as they arrived: by run, then by address.
select vector.image_id
from vector
join (
    select image_id, min(uri) as uri
    from present_locations()
    where role = 'lake' and image_id is not null
    group by image_id
) as first_location on first_location.image_id = vector.image_id
join run on run.run_id = vector.run_id
where vector.encoder_id = $encoder_id
order by run.run_number, first_location.uri;

-- name: list_id_images
-- Address, label and size of the reference images that have a vector and of those in `wanted`, by id; the first place of
-- each.
select
    image.image_id,
    image.width::bigint * image.height as pixels,
    image.byte_size,
    location.uri,
    location.kind,
    coalesce(location.source_label, '') as source_label,
    bool_or(location.role = 'reference') over (partition by image.image_id) as is_reference
from image
join present_locations() as location using (image_id)
where image.image_id in (
    select image_id from present_locations() where role = 'reference'
    union all
    select image_id from incoming_wanted
)
    and image.image_id in (select image_id from vector where encoder_id = $encoder_id)
qualify row_number() over (partition by image.image_id order by location.uri, location.role) = 1
order by image.image_id;

-- name: list_banks_of_pictures
-- The banks that show one of these files.
select distinct bank.name
from bank_picture
join bank on bank.bank_digest = bank_picture.bank_digest
where list_contains($artefacts, bank_picture.artefact)
order by bank.name;

-- name: list_artefacts
-- The files that calls made, and that banks show.
select artefact from generator_call where artefact is not null
union
select artefact from bank_picture
order by artefact;
