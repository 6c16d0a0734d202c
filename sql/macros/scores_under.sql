-- The scores of an encoder, bank and method.
create or replace macro scores_under(of_encoder, of_bank, of_method) as table
select *
from main.score
where encoder_id = of_encoder
    and bank_digest = of_bank
    and method_id = of_method;
