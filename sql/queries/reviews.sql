-- name: insert_reviews
-- Record reviews that are not there yet, numbered in the order given.
insert into review
select
    (select coalesce(max(review_number), 0) from review) + row_number() over (order by incoming.review_number),
    incoming.* exclude (review_number)
from incoming_review as incoming
anti join review as known on known.review_id = incoming.review_id;

-- name: list_known_reviews
-- Those of the incoming reviews that are recorded already, or, where a file gives no time, whose newest review out of
-- the same file, of the same reviewer about the same thing, says the same. In any order.
select incoming.review_id
from incoming_review as incoming
semi join review as known on known.review_id = incoming.review_id
union
select incoming.review_id
from incoming_review as incoming
join (
    select
        image_id,
        group_id,
        reviewer,
        export_id,
        arg_max({'decision': decision, 'wrong_label': wrong_label, 'note': note}, review_number) as said
    from review
    where origin = $origin
    group by image_id, group_id, reviewer, export_id
) as newest
    on newest.image_id = incoming.image_id
    and newest.group_id is not distinct from incoming.group_id
    and newest.reviewer = incoming.reviewer
    and newest.export_id is not distinct from incoming.export_id
where incoming.reviewed_at = $now
    and newest.said.decision = incoming.decision
    and newest.said.wrong_label is not distinct from incoming.wrong_label
    and newest.said.note is not distinct from incoming.note;

-- name: insert_taggings
-- Record taggings that are not there yet, numbered in the order given.
insert into tagging
select
    (select coalesce(max(tagging_number), 0) from tagging) + row_number() over (order by incoming.tagging_number),
    incoming.* exclude (tagging_number)
from incoming_tagging as incoming
anti join tagging as known on known.tagging_id = incoming.tagging_id;

-- name: list_unknown_images
-- The incoming images, or groups, that the ledger does not know, in any order.
select incoming.image_id
from incoming_named as incoming
anti join image on image.image_id = incoming.image_id;

-- name: list_review_queue
-- What to review, in order, with the images of each group that lie nearest to the one that is shown.
select
    queue.*,
    (
        select list(members.image_id order by members.cosine desc, members.image_id)[1:6]
        from report.group_members as members
        where members.group_id = queue.group_id
            and members.image_id <> queue.image_id
    ) as members
from report.review_queue as queue
order by queue.position
limit $limit;

-- name: find_review
-- The first review, if there is any.
select review_number
from review
order by review_number
limit 1;

-- name: list_reviewed_images
-- Images of the lake with the decision that holds for them, in the order of their ids.
select image_id, group_id, uri, name, decision, disputed, wrong_labels, id_score, log_odds, flagged, top_id,
    top_negative
from report.reviewed_images
order by image_id;

-- name: list_reviewed_vectors
-- Where the vectors of the images of the lake lie that a decision holds for, ID or OOD, by file and row.
with members as (
    from report.group_members
)

select vector.vector_file, vector.row_index, vector.image_id, held.decision
from vector
join held_decisions('members') as held on held.image_id = vector.image_id
where vector.encoder_id = $encoder_id
    and held.decision in ('id', 'ood')
order by vector.vector_file, vector.row_index;

-- name: list_reviews
-- What counts of the reviews, with the same facts as the queue, in the order in which they were decided.
select
    'decided' as why,
    scores.uri,
    scores.format,
    1 as images,
    scores.flagged::integer as flagged,
    scores.id_score,
    scores.name,
    scores.top_id,
    scores.top_negative,
    scores.method_id,
    reviews.image_id,
    reviews.group_id,
    reviews.decision,
    reviews.wrong_label,
    reviews.note,
    reviews.reviewer,
    reviews.reviewed_at
from report.reviews as reviews
join report.scores as scores on scores.image_id = reviews.image_id
order by reviews.reviewed_at, reviews.review_id
limit $limit;
