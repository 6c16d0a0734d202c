-- Reviews whose decision is none of those that there are.
select review_id, decision
from review
where decision not in ('id', 'ood', 'unsure', 'bad_image', 'withdrawn');
