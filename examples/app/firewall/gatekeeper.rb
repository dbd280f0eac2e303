# frozen_string_literal: true

module Firewall
  # Decides on a request in a worker: by the documents alone where they are enough, else by the parent's counters.
  class Gatekeeper
    # The worker requested the documents at `documents_asked_at` and had them, ready for use, at `documents_read_at`.
    # `rate_limit` is the limiter's answer, `failure` the error after which this worker answered instead of the parent,
    # `call_time` the seconds that the worker waited for the answer. They are nil where no call was needed.
    Decision = Struct.new(:verdict, :reason, :generations, :documents_asked_at, :documents_read_at, :rate_limit,
                          :failure, :call_time, keyword_init: true)

    def initialize
      @settings = DocumentView.new("config") { |config| Settings.new(config) }
      @lists = DocumentView.new("firewall_lists") { |lists| AddressLists.new(lists) }
      @local_limiter = RateLimiter.new(@settings)
    end

    # @param route [String]
    # @param address [String]
    # @param user [String, nil]
    # @return [Decision] with the verdict `passed`, `blocked` or `limited`
    def decide(route, address, user)
      documents_asked_at = Firewall.monotonic_now
      settings = @settings.read
      lists = @lists.read
      documents_read_at = Firewall.monotonic_now
      verdict = verdict_of_documents(settings.content, lists.content, address, user) ||
                verdict_of_limiter(route, address, user)
      Decision.new(generations: { "config" => settings.generation, "firewall_lists" => lists.generation },
                   documents_asked_at:, documents_read_at:, **verdict)
    end

    private

    def verdict_of_documents(settings, lists, address, user)
      return { verdict: "passed", reason: "allowed address" } if settings.allowed_address?(address)
      return { verdict: "blocked", reason: "listed address" } if lists.blocked?(address)

      { verdict: "blocked", reason: "blocked user" } if settings.blocked_user?(user)
    end

    def verdict_of_limiter(*request)
      started_at = Firewall.monotonic_now
      failure = nil
      rate_limit = Aikido::Zen::WorkerProcess.invoke("calculate_rate_limits", CALL_TIMEOUT, *request) do |error|
        failure = error
        @local_limiter.check(*request)
      end
      call_time = Firewall.monotonic_now - started_at
      verdict, reason = rate_limit && rate_limit["throttled"] ? ["limited", "rate limit"] : ["passed", nil]
      { verdict:, reason:, rate_limit:, failure:, call_time: }
    end
  end
end
