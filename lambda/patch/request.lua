-- Without credentials aws_lambda signs nothing and leaves the caller's Authorization.
-- x-amz-date can only be the signature's: the caller's own was removed.
function envoy_on_request(request)
  if request:headers():get("x-amz-date") == nil then
    request:headers():remove("authorization")
  end
end
