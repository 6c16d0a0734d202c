-- What counts of the reviews: the newest of each reviewer about each group or image, unless it was withdrawn.
create or replace view report.reviews as
select
    review.review_id,
    review.image_id,
    review.group_id,
    images.uri,
    review.decision,
    review.wrong_label,
    review.note,
    review.reviewer,
    review.reviewed_at,
    review.origin,
    review.export_id,
    review.run_id
from main.review
left join report.images as images on images.image_id = review.image_id
where review.decision <> 'withdrawn'
    and not exists (
        select 1
        from main.review as later
        where later.reviewer = review.reviewer
            and later.group_id is not distinct from review.group_id
            and (later.group_id is not null or later.image_id = review.image_id)
            and (later.reviewed_at, later.review_number) > (review.reviewed_at, review.review_number)
    );
