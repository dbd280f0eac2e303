# frozen_string_literal: true

require_relative "../../../../examples/app/firewall"

RSpec.describe Firewall::RateLimiter do
  subject(:limiter) { described_class.new(settings) }

  let(:settings) do
    config = Firewall::Settings.new(
      "endpoints" => [{ "method" => "POST", "route" => "/login",
                        "rateLimiting" => { "enabled" => true, "maxRequests" => 2, "windowSizeInMS" => 10_000 } }]
    )
    instance_double(Firewall::DocumentView, read: Firewall::DocumentView::Reading.new(1, config))
  end

  it "lets requests pass until the limit is reached, and again when the oldest has left the window" do
    throttled = { 100.0 => false, 104.0 => false, 109.9 => true, 110.0 => false, 113.9 => true, 114.0 => false }
    expect(throttled.keys.to_h { |time| [time, check_at(time).fetch("throttled")] }).to eq(throttled)
  end

  it "says how things stand in four fields" do
    check_at(100.0)
    check_at(104.0)
    expect(check_at(106.5)).to eq("throttled" => true, "current_requests" => 2, "max_requests" => 2,
                                  "time_remaining" => 3.5)
    expect(check_at(111.0)).to eq("throttled" => false, "current_requests" => 2, "max_requests" => 2,
                                  "time_remaining" => 0.0)
  end

  it "counts a signed-in user wherever the requests come from" do
    allow(Firewall).to receive(:monotonic_now).and_return(100.0)
    answers = %w[10.0.0.1 10.0.0.2 10.0.0.3].map { |address| limiter.check("POST /login", address, "ann") }
    expect(answers.map { |answer| answer.fetch("throttled") }).to eq([false, false, true])
  end

  it "has no answer for a route without a limit" do
    expect(limiter.check("GET /login", "10.0.0.1", nil)).to be_nil
  end

  it "forgets addresses that have not been seen within a window, and no others" do
    10_000.times { |number| check_at(100.0 + number, "address #{number}") }
    expect(limiter.size).to be <= 1_000
    answers = Array.new(3) { check_at(10_099.0, "address 9999") }
    expect(answers.map { |answer| answer.fetch("throttled") }).to eq([false, true, true])
  end

  def check_at(time, address = "10.0.0.1")
    allow(Firewall).to receive(:monotonic_now).and_return(time)
    limiter.check("POST /login", address, nil)
  end
end
